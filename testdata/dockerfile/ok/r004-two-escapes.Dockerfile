FROM a
RUN x \\
USER y
