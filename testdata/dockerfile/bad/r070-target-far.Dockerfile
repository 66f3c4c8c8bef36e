FROM a AS build
FROM b AS final
# args: target=x
