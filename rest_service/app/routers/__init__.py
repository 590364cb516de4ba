"""The routes, one module a resource. Handlers parse, call one repository, and answer."""
