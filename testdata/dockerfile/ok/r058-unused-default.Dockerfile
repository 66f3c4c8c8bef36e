FROM a
ARG A=${B:?none}
# args: arg:A=1
