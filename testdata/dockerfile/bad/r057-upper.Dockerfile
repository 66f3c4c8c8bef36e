FROM Base/MyImage:1
