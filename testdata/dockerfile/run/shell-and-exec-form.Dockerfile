FROM localhost/busybox
WORKDIR /w
RUN ["touch", "a b", "$HOME"]
RUN ["/bin/sh", "-c", "echo \"$0 $1\" > words", "zero", "one"]
SHELL ["/bin/sh", "-eu", "-o", "pipefail", "-c"]
RUN set -o | grep -E 'errexit|nounset|pipefail' > options
SHELL ["/bin/busybox", "ash", "-c"]
RUN echo "$-" > flags; false || true
