FROM a
RUN x && \
# comment
    y
