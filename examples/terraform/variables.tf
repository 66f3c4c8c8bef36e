# The variables of terraform-aws-modules/lambda's docker-build that make sense without Docker, under their names, and those of
# lbuild below.

variable "source_path" {
  description = "Directory of the function: its code, or the context of its Dockerfile"
  type        = string
}

variable "docker_file_path" {
  description = "Path of the Dockerfile in source_path; null for the Dockerfile in source_path, if no runtime and no base is given"
  type        = string
  default     = null
}

variable "build_args" {
  description = "Values of the Dockerfile's ARG instructions"
  type        = map(string)
  default     = {}
}

variable "build_target" {
  description = "Stage of the Dockerfile to build"
  type        = string
  default     = null
}

variable "platform" {
  description = "Platform of the image: linux/arm64 or linux/amd64"
  type        = string
  default     = null
}

variable "cache_from" {
  description = "Further images whose layers are reused; those of the tag are"
  type        = list(string)
  default     = []
}

variable "ecr_address" {
  description = "Address of the registry; null for ECR in the account and Region of the AWS provider"
  type        = string
  default     = null
}

variable "ecr_repo" {
  description = "Name of the repository"
  type        = string
}

variable "image_tag" {
  description = "Tag of the image; the function takes the image by its digest"
  type        = string
  default     = "latest"
}

variable "use_image_tag" {
  description = "Whether image_uri has the tag instead of the digest; a function does not notice when a tag moves"
  type        = bool
  default     = false
}

variable "triggers" {
  description = "Further values on whose change the image is pushed again"
  type        = map(string)
  default     = {}
}

variable "create_ecr_repo" {
  description = "Whether the repository is created"
  type        = bool
  default     = false
}

variable "ecr_force_delete" {
  description = "Whether the repository is deleted although it has images"
  type        = bool
  default     = false
}

variable "ecr_repo_tags" {
  description = "Tags of the repository that is created"
  type        = map(string)
  default     = {}
}

variable "ecr_repo_lifecycle_policy" {
  description = "Lifecycle policy of the repository, as JSON"
  type        = string
  default     = null
}

variable "image_tag_mutability" {
  description = "MUTABLE or IMMUTABLE, for the repository that is created"
  type        = string
  default     = "MUTABLE"
}

variable "scan_on_push" {
  description = "Whether images of the repository that is created are scanned"
  type        = bool
  default     = false
}

# lbuild's own

variable "lbuild" {
  description = "The program"
  type        = string
  default     = "lbuild"
}

variable "runtime" {
  description = "Runtime whose base image the function gets, such as python3.12; null with a Dockerfile"
  type        = string
  default     = null
}

variable "handler" {
  description = "Handler of the function, such as app.handler"
  type        = string
  default     = null
}

variable "lock" {
  description = "Lock file of the function's Python packages"
  type        = string
  default     = null
}

variable "options" {
  description = "Further flags of lbuild push without --, each with its values, or with [] for a switch"
  type        = map(list(string))
  default     = {}
}
