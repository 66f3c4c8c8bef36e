FROM full
ARG A=arg
RUN 1
ENV A=env
RUN 2
ARG A=again
RUN 3
