FROM a AS x
FROM b AS y
RUN 1
FROM c
# args: target=Y
