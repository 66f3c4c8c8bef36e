FROM a
ENV P=/a/b.tar.gz
ENV a=${P#*/} b=${P##*/} c=${P%.*} d=${P%%.*} e=${P/b/c} f=${P//\//_}
