"""The fields of a `batch/v1 Job` and of the pod in it, with their types (Kubernetes 1.34).

A type is `text`, `integer`, `boolean`, `quantity`, `any`, the name of another object, or one of these after
`[]` (a list) or `{}` (a mapping).
"""

from __future__ import annotations

from collections.abc import Mapping


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        kind, _, names = line.strip().partition(": ")
        fields.update(dict.fromkeys(names.split(), kind))
    fields.pop("", None)
    return fields


OBJECTS: Mapping[str, Mapping[str, str]] = {
    "Job": _fields(
        """
        text: apiVersion kind
        Metadata: metadata
        JobSpec: spec
        any: status
        """
    ),
    "Metadata": _fields(
        """
        text: name namespace generateName uid resourceVersion selfLink creationTimestamp deletionTimestamp
        {}text: labels annotations
        []text: finalizers
        integer: generation deletionGracePeriodSeconds
        any: ownerReferences managedFields
        """
    ),
    "JobSpec": _fields(
        """
        integer: activeDeadlineSeconds backoffLimit backoffLimitPerIndex completions maxFailedIndexes
        integer: parallelism ttlSecondsAfterFinished
        text: completionMode managedBy podReplacementPolicy
        boolean: manualSelector suspend
        any: podFailurePolicy selector successPolicy
        PodTemplate: template
        """
    ),
    "PodTemplate": _fields(
        """
        Metadata: metadata
        PodSpec: spec
        """
    ),
    "PodSpec": _fields(
        """
        integer: activeDeadlineSeconds priority terminationGracePeriodSeconds
        text: dnsPolicy hostname hostnameOverride nodeName preemptionPolicy priorityClassName restartPolicy
        text: runtimeClassName schedulerName serviceAccount serviceAccountName subdomain
        boolean: automountServiceAccountToken enableServiceLinks hostIPC hostNetwork hostPID hostUsers
        boolean: setHostnameAsFQDN shareProcessNamespace
        {}text: nodeSelector
        {}quantity: overhead
        []Container: containers initContainers
        []Volume: volumes
        Resources: resources
        any: affinity dnsConfig ephemeralContainers hostAliases imagePullSecrets os readinessGates
        any: resourceClaims schedulingGates securityContext tolerations topologySpreadConstraints workloadRef
        """
    ),
    "Container": _fields(
        """
        text: image imagePullPolicy name restartPolicy terminationMessagePath terminationMessagePolicy
        text: workingDir
        []text: args command
        boolean: stdin stdinOnce tty
        []EnvVar: env
        []Port: ports
        []VolumeMount: volumeMounts
        Resources: resources
        any: envFrom lifecycle livenessProbe readinessProbe resizePolicy restartPolicyRules securityContext
        any: startupProbe volumeDevices
        """
    ),
    "EnvVar": _fields(
        """
        text: name value
        any: valueFrom
        """
    ),
    "Port": _fields(
        """
        integer: containerPort hostPort
        text: hostIP name protocol
        """
    ),
    "Resources": _fields(
        """
        {}quantity: limits requests
        any: claims
        """
    ),
    "VolumeMount": _fields(
        """
        text: mountPath mountPropagation name recursiveReadOnly subPath subPathExpr
        boolean: readOnly
        """
    ),
    "Volume": _fields(
        """
        text: name
        any: awsElasticBlockStore azureDisk azureFile cephfs cinder configMap csi downwardAPI emptyDir
        any: ephemeral fc flexVolume flocker gcePersistentDisk gitRepo glusterfs hostPath image iscsi nfs
        any: persistentVolumeClaim photonPersistentDisk portworxVolume projected quobyte rbd scaleIO secret
        any: storageos vsphereVolume
        """
    ),
}
"""Fields of each object by name."""
