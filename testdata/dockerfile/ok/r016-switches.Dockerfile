FROM a
COPY --link=true --parents=FALSE a b
