module ocispec_peer

go 1.24.2

require (
	github.com/opencontainers/runtime-spec v1.3.0
	go.podman.io/common v0.66.1
	tags.cncf.io/container-device-interface v1.1.1
)

require (
	github.com/fsnotify/fsnotify v1.9.0 // indirect
	github.com/sirupsen/logrus v1.9.3 // indirect
	go.podman.io/storage v1.61.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.37.0 // indirect
	tags.cncf.io/container-device-interface/specs-go v1.1.1 // indirect
)
