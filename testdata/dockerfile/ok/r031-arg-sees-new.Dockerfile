ARG a=1 b=$a
FROM x:$b
ARG c=2 d=$c
ENV e=$d
