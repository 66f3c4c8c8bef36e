FROM a
RUN x
ARG NO_PROXY
RUN y
# args: arg:https_proxy=p arg:NO_PROXY=n
