"""Errors and their answers: always one `ErrorBody`.

`api` has the errors that code raises, `constraints` sentences for the database's constraints, `validation`
for pydantic's errors; `handlers` turns all of them into answers.
"""
