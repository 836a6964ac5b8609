# shellcheck shell=bash
# shellcheck disable=SC2034 # these names are read by the scripts beside this one
# Names, addresses and paths of the local cluster. Sourced after deploy/lib.sh.

# use_cluster DIR sets whose cluster is meant: this clone's, or one that another left behind.
use_cluster() {
  CLUSTER_DIR="$1"
  # Where the components see that folder. Socket paths end at 108 characters and
  # kubelet resolves symlinks, so a long path gets a short bind mount of it.
  RT="$CLUSTER_DIR"
  if ((${#CLUSTER_DIR} > 50)); then
    RT="/run/octo-$(printf %s "$CLUSTER_DIR" | sha256sum | cut -c1-8)"
  fi
  # Each process that we start carries this in its environment, and what it starts
  # inherits it (containerd's shims do): the sure way to find them all again.
  MARK="OCTO_CLUSTER_DIR=$CLUSTER_DIR"
  PKI="$RT/pki"
  CONTAINERD_SOCKET="$RT/run/containerd.sock"
}
use_cluster "$OCTO_STATE/cluster"

# Which clone's cluster this machine runs: there is one bridge and one set of ports.
OWNER_FILE=/run/octo-cluster

NODE=octo
BRIDGE=octo0
NODE_IP=10.244.0.1
POD_CIDR=10.244.0.0/20
SERVICE_CIDR=10.96.0.0/16
SERVICE_IP=10.96.0.1
DNS_IP=10.96.0.10
API_PORT=6443
ETCD_PORT=12379
CNI_NAME=octo
CNI_CACHE=/var/lib/cni/results
VOLUMES=8

COMPONENTS=(etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

PAUSE_IMAGE=docker.io/octo/pause:1
COREDNS_IMAGE="docker.io/octo/coredns:$COREDNS_VERSION"

ctr_local() { ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }
kubectl_local() { "$OCTO_BIN/kubectl" --kubeconfig "$OCTO_STATE/kubeconfig" "$@"; }
