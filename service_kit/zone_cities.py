"""Large cities that no IANA zone is named after, in English and Russian."""

CITIES: dict[str, str] = {
    "Europe/Moscow": "Saint Petersburg, St. Petersburg, St Petersburg, Санкт-Петербург, Петербург, "
    "Питер, СПб, Kazan, Казань, Nizhny Novgorod, Нижний Новгород, Rostov-on-Don, Ростов-на-Дону, "
    "Ростов, Krasnodar, Краснодар, Sochi, Сочи, Voronezh, Воронеж",
    "Asia/Yekaterinburg": "Chelyabinsk, Челябинск, Ufa, Уфа, Perm, Пермь, Tyumen, Тюмень",
    "Asia/Vladivostok": "Khabarovsk, Хабаровск",
    "Europe/Kyiv": "Kharkiv, Kharkov, Харьков, Odesa, Odessa, Одесса, Lviv, Львов, Dnipro, Днепр",
    "Europe/Berlin": "Munich, München, Мюнхен, Hamburg, Гамбург, Frankfurt, Франкфурт, Cologne, "
    "Köln, Кёльн, Stuttgart, Штутгарт, Düsseldorf, Дюссельдорф, Leipzig, Лейпциг, Dresden, Дрезден",
    "Europe/London": "Manchester, Манчестер, Birmingham, Бирмингем, Edinburgh, Эдинбург, Glasgow, "
    "Глазго, Liverpool",
    "Europe/Paris": "Marseille, Марсель, Lyon, Лион, Nice, Ницца, Toulouse, Тулуза, Bordeaux, Бордо",
    "Europe/Madrid": "Barcelona, Барселона, Valencia, Валенсия, Seville, Севилья, Malaga, Малага",
    "Europe/Rome": "Milan, Милан, Naples, Неаполь, Turin, Турин, Florence, Флоренция, Venice, Венеция",
    "Europe/Zurich": "Geneva, Женева, Basel, Базель, Bern, Берн",
    "Europe/Warsaw": "Krakow, Краков, Gdansk, Гданьск, Wroclaw, Вроцлав",
    "Europe/Amsterdam": "Rotterdam, Роттердам, The Hague, Гаага",
    "Europe/Lisbon": "Porto, Порту",
    "Europe/Istanbul": "Ankara, Анкара, Izmir, Измир, Antalya, Анталья",
    "Asia/Jerusalem": "Tel Aviv, Tel-Aviv, Тель-Авив, Haifa, Хайфа",
    "Asia/Dubai": "Abu Dhabi, Абу-Даби",
    "Asia/Kolkata": "Mumbai, Мумбаи, Bombay, Delhi, Дели, New Delhi, Нью-Дели, Bangalore, Bengaluru, "
    "Бангалор, Chennai, Ченнаи, Hyderabad, Goa, Гоа",
    "Asia/Karachi": "Lahore, Лахор, Islamabad, Исламабад",
    "Asia/Shanghai": "Beijing, Peking, Пекин, Shenzhen, Шэньчжэнь, Guangzhou, Гуанчжоу, Chengdu, "
    "Wuhan, Ухань",
    "Asia/Tokyo": "Osaka, Осака, Kyoto, Киото, Yokohama, Иокогама",
    "Asia/Seoul": "Busan, Пусан",
    "Asia/Ho_Chi_Minh": "Hanoi, Ханой, Da Nang, Дананг",
    "Asia/Bangkok": "Phuket, Пхукет, Pattaya, Паттайя, Chiang Mai",
    "Asia/Makassar": "Bali, Бали, Denpasar, Денпасар",
    "Asia/Almaty": "Astana, Астана",
    "America/New_York": "NYC, Washington, Washington DC, Вашингтон, Boston, Бостон, Miami, Майами, "
    "Atlanta, Атланта, Philadelphia, Филадельфия, Orlando, Орландо",
    "America/Chicago": "Houston, Хьюстон, Dallas, Даллас, Austin, Остин, New Orleans, Новый Орлеан, "
    "Minneapolis",
    "America/Denver": "Salt Lake City, Солт-Лейк-Сити",
    "America/Los_Angeles": "San Francisco, Сан-Франциско, Seattle, Сиэтл, San Diego, Сан-Диего, "
    "San Jose, Las Vegas, Лас-Вегас, Portland, Портленд, California, Калифорния",
    "America/Toronto": "Montreal, Монреаль, Ottawa, Оттава, Quebec, Квебек",
    "America/Edmonton": "Calgary, Калгари",
    "America/Sao_Paulo": "Rio de Janeiro, Рио-де-Жанейро, Rio, Рио, Brasilia, Бразилиа",
    "Australia/Sydney": "Canberra, Канберра",
    "Africa/Johannesburg": "Cape Town, Кейптаун, Pretoria, Претория",
    "Africa/Casablanca": "Rabat, Рабат, Marrakesh, Марракеш",
}
