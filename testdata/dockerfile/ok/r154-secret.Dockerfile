FROM a
RUN --mount=type=secret,target=/run/x,required --mount=type=secret,id=t,env=T x
