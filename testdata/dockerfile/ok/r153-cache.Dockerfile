FROM a AS s
FROM a
RUN --mount=type=cache,target=/c,id=i,sharing=locked,from=s,source=d,uid=1,mode=0700 x
