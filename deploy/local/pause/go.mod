module octo.dev/deploy/local/pause

go 1.24
