FROM bare
RUN x
