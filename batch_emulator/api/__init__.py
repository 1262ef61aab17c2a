"""The REST API's wire: a module of handlers for each kind of resource, and what they need to read and answer.

A handler takes a `call.Call` and returns a Starlette response; it reads the body with a model of `bodies`,
does what is asked by a command of `scheduler` on the running engine, and answers with what `views` makes of
the resource. `ROUTES` of each module says which method and path it serves; `app` puts them together.
`bodies` and `views` need neither engine nor HTTP framework.
"""
