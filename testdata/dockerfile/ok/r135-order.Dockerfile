FROM full
CMD ["c"]
ENTRYPOINT ["e"]
