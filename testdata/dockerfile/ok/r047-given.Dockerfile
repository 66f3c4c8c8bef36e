FROM a
ARG A
ARG B=1
ENV c=$A$B
# args: arg:A=x arg:B=y
