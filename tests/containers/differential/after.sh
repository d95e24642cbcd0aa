# Runs after terraform: what the hooks before have left, here and there.
D=/opt/bitops_deployment T=$BITOPS_TEMPDIR E=$BITOPS_ENVIRONMENT
echo "=== after-outputs"
cat $D/bo-out.env
echo "=== after-copy"
cat $T/$E/later
(. $T/$E/env.sh && echo "LATER=$LATER")
echo "=== after-write"
echo "ended" >> $D/bo-out.env
ls $D/generated_code/vm
echo "=== the pipeline"
