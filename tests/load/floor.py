"""The floor: a bot of one process and forty lines that polls, calls the model and sends.

No queue, no database, no history, no order, nothing survives a crash. What the suite takes on top of
it is the price of all that.
"""

import argparse
import asyncio

import aiohttp
import uvloop
from openai import AsyncOpenAI


async def main(url: str) -> None:
    """Run until killed."""
    llm = AsyncOpenAI(api_key="sk-floor", base_url=f"{url}/openai/v1", max_retries=0, timeout=60)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        asyncio.TaskGroup() as tasks,
    ):

        async def answer(chat_id: int, text: str) -> None:
            completion = await llm.chat.completions.create(
                model="floor",
                messages=[{"role": "system", "content": "Answer."}, {"role": "user", "content": text}],
            )
            payload = {"chat_id": chat_id, "text": completion.choices[0].message.content}
            async with http.post(f"{url}/telegram/bot1:floor/sendMessage", json=payload) as sent:
                await sent.read()

        offset = 0
        while True:
            query = {"offset": offset, "timeout": 25, "limit": 100}
            async with http.post(f"{url}/telegram/bot1:floor/getUpdates", json=query) as polled:
                updates = (await polled.json())["result"]
            for update in updates:
                offset = update["update_id"] + 1
                tasks.create_task(answer(update["message"]["chat"]["id"], update["message"]["text"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    uvloop.run(main(parser.parse_args().url))
