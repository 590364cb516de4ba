"""Fakes of the kit's own interfaces, for the tests of the services."""
