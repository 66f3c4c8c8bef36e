FROM a
ENV A=1
ENV B=${A#\x}
