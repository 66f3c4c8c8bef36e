FROM a
ENV A=
ENV B=${A:?}
