"""What the model can do, one subject a module.

A skill offers `ask(turn)`, its reply if the request is its subject, else None; a skill that calls
tools also offers `tell(turn, result)`, the sentence for a result of one of its tools, else None.
"""
