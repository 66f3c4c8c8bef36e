FROM a
ENV X=1
ENV a=\$X b="\$X$X" c='$X' d=\t
