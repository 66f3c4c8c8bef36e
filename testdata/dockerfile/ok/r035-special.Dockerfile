FROM a
ENV a=$1$@$$x b=$.
