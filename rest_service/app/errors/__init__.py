"""What this service refuses, and how it says so: always one `ErrorBody`.

`api` has the refusals that code raises, `constraints` the database's refusals in words, `validation`
pydantic's, `handlers` turns all of them into answers.
"""
