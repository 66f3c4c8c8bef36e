# The image of a function, built and pushed by lbuild: no Docker provider, no daemon. The plan shows a change exactly when the
# content of the image changes, because lbuild gives the same content the same digest on every machine.
#
#   module "image" {
#     source          = "./lbuild"
#     source_path     = "${path.root}/fn"
#     runtime         = "python3.12"
#     handler         = "app.handler"
#     platform        = "linux/arm64"
#     ecr_repo        = "hello"
#     create_ecr_repo = true
#   }
#
#   resource "aws_lambda_function" "hello" {
#     function_name = "hello"
#     package_type  = "Image"
#     image_uri     = module.image.image_uri # after the push
#     architectures = ["arm64"]
#     role          = aws_iam_role.hello.arn
#   }

terraform {
  required_version = ">= 1.4" # terraform_data

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
    external = {
      source  = "hashicorp/external"
      version = ">= 2.3"
    }
  }
}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  ecr_address = coalesce(
    var.ecr_address,
    format("%s.dkr.ecr.%s.amazonaws.com", data.aws_caller_identity.current.account_id, data.aws_region.current.id)
  )

  single = {
    platform   = var.platform
    runtime    = var.runtime
    handler    = var.handler
    lock       = var.lock
    target     = var.build_target
    dockerfile = var.docker_file_path == null ? null : "${var.source_path}/${var.docker_file_path}"
    to         = "${local.ecr_address}/${var.ecr_repo}:${var.image_tag}"
  }
  repeated = {
    build-arg  = [for name, value in var.build_args : "${name}=${value}"]
    cache-from = var.cache_from
  }

  # The flags of lbuild push, each with its values; a switch has none.
  options = merge(
    { for name, value in local.single : name => [value] if value != null },
    { for name, values in local.repeated : name => values if length(values) > 0 },
    var.options
  )
  # The same for the data source: a switch is true, and several values are a JSON array.
  query = {
    for name, values in local.options :
    name => length(values) == 0 ? "true" : length(values) == 1 ? values[0] : jsonencode(values)
  }
  flags = flatten([
    for name, values in local.options :
    length(values) == 0 ? ["--${name}"] : [for value in values : "--${name}=${value}"]
  ])
}

# Builds the image at every plan, and writes nothing but lbuild's cache.
data "external" "image" {
  program = [var.lbuild, "terraform"]
  query   = merge(local.query, { path = var.source_path })
}

resource "aws_ecr_repository" "this" {
  count = var.create_ecr_repo ? 1 : 0

  name                 = var.ecr_repo
  force_delete         = var.ecr_force_delete
  image_tag_mutability = var.image_tag_mutability
  tags                 = var.ecr_repo_tags

  image_scanning_configuration {
    scan_on_push = var.scan_on_push
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  count = var.ecr_repo_lifecycle_policy == null ? 0 : 1

  repository = var.ecr_repo
  policy     = var.ecr_repo_lifecycle_policy

  depends_on = [aws_ecr_repository.this]
}

resource "terraform_data" "push" {
  triggers_replace = {
    image    = data.external.image.result.image_uri
    tag      = var.image_tag
    triggers = var.triggers
  }

  # The program and its arguments, of which the command is the last: no shell, so no value needs quotation marks.
  provisioner "local-exec" {
    interpreter = concat([var.lbuild, "push"], local.flags, ["--"])
    command     = var.source_path
  }

  depends_on = [aws_ecr_repository.this]
}
