FROM --platform=linux/amd64 a AS x
FROM x
