FROM a
COPY --parents ./a/./b/*.c x/y /d/
