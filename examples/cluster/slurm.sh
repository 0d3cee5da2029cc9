#!/usr/bin/env bash
#SBATCH --job-name=datagen
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --requeue
# One job: Ray on all nodes, the model on their GPUs, the run on the head. Submit it again and it goes on.
#   sbatch examples/cluster/slurm.sh recipe.yaml /shared/runs/photos
set -euo pipefail

recipe=$1
out=$2
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# Ray's own launcher starts the head and joins the other nodes, then runs the command on the head.
srun --ntasks="$SLURM_NNODES" ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_NNODES" -- bash -c "
    serve deploy examples/cluster/vlm.yaml
    until curl --silent --fail http://$head:8000/v1/models >/dev/null; do sleep 10; done
    RAY_ADDRESS=auto datagen run '$recipe' --out '$out' --endpoint http://$head:8000/v1 --set workers=$((4 * SLURM_NNODES))
"
