FROM a
RUN --mount=type=tmpfs,target=/t,size=1GiB --mount=type=ssh,id=k,target=/s x
