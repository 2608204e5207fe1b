package check_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are the objects of a folder as kubectl apply -k sends them.
type manifests struct {
	deployment appsv1.Deployment
	service    corev1.Service
	config     corev1.ConfigMap
	ingress    networkingv1.Ingress
	budget     policyv1.PodDisruptionBudget
	policy     networkingv1.NetworkPolicy
}

// render runs kustomize, and decodes every object into its type. Unknown fields are refused.
func render(t *testing.T, folder string) *manifests {
	t.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../"+folder)
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	for _, r := range rendered.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		into, ok := map[string]any{
			"apps/v1 Deployment": &m.deployment, "v1 Service": &m.service, "v1 ConfigMap": &m.config,
			"networking.k8s.io/v1 Ingress": &m.ingress, "networking.k8s.io/v1 NetworkPolicy": &m.policy,
			"policy/v1 PodDisruptionBudget": &m.budget,
		}[r.GetApiVersion()+" "+r.GetKind()]
		if !ok {
			t.Errorf("nothing looks at %s %s", r.GetApiVersion(), r.GetKind())
			continue
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s %s: %v", r.GetKind(), r.GetName(), err)
		}
	}
	return &m
}

func TestKubernetes(t *testing.T) {
	for folder, containers := range map[string][]string{"kubernetes/gateway": {"dodogate"}, "kubernetes/sidecar": {"dodogate", "app"}} {
		t.Run(folder, func(t *testing.T) {
			m := render(t, folder)
			pod := m.deployment.Spec.Template
			var names []string
			for _, c := range pod.Spec.Containers {
				names = append(names, c.Name)
				lookAtContainer(t, c)
			}
			if !slices.Equal(names, containers) {
				t.Errorf("the pod has the containers %q", names)
			}
			lookAtPod(t, pod.Spec)
			lookAtGateway(t, pod.Spec.Containers[0])

			if m.config.Data["Caddyfile"] != read(t, folder+"/Caddyfile") {
				t.Error("the config map does not contain the folder's Caddyfile")
			}
			if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.ConfigMap != nil && v.ConfigMap.Name == m.config.Name }) {
				t.Errorf("no volume has the config map %s", m.config.Name)
			}
			for _, secret := range secretsOf(t, folder+"/Caddyfile") {
				if !strings.Contains(read(t, folder+"/kustomization.yaml"), "--from-file="+secret) {
					t.Errorf("the command for the secrets lacks %s", secret)
				}
			}
			selects(t, "the deployment", m.deployment.Spec.Selector, pod.Labels)
			selects(t, "the budget", m.budget.Spec.Selector, pod.Labels)
			selects(t, "the service", &metav1.LabelSelector{MatchLabels: m.service.Spec.Selector}, pod.Labels)
			for _, spread := range pod.Spec.TopologySpreadConstraints {
				selects(t, "the spread", spread.LabelSelector, pod.Labels)
			}
			if m.budget.Spec.MaxUnavailable.IntValue() != 1 || *m.deployment.Spec.Replicas < 2 {
				t.Error("no node can be drained without an outage")
			}
			backend := m.ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
			if backend.Name != m.service.Name || backend.Port.Name != m.service.Spec.Ports[0].Name {
				t.Errorf("the ingress leads to %+v", backend)
			}
		})
	}
}

func TestKubernetesAppIsClosed(t *testing.T) {
	m := render(t, "kubernetes/gateway")
	if len(m.policy.Spec.Ingress) != 1 || len(m.policy.Spec.Ingress[0].From) != 1 {
		t.Fatalf("the app is open to %+v", m.policy.Spec.Ingress)
	}
	selects(t, "the policy", m.policy.Spec.Ingress[0].From[0].PodSelector, m.deployment.Spec.Template.Labels)
	app, err := metav1.LabelSelectorAsSelector(&m.policy.Spec.PodSelector)
	if err != nil || app.Empty() || app.Matches(labels.Set(m.deployment.Spec.Template.Labels)) {
		t.Errorf("the policy closes the gateways themselves: %v, %v", app, err)
	}
	sidecar := render(t, "kubernetes/sidecar").deployment.Spec.Template.Spec.Containers[1]
	if len(sidecar.Ports) != 0 || !slices.Contains(sidecar.Env, corev1.EnvVar{Name: "HOST", Value: "127.0.0.1"}) {
		t.Error("the app beside the gateway listens to others")
	}
	// The admin API shows the secrets to every client that can load a config.
	admin := regexp.MustCompile(`(?m)^\tadmin unix/(/\S+)/[^/\s]+$`).FindStringSubmatch(read(t, "kubernetes/sidecar/Caddyfile"))
	if admin == nil {
		t.Fatal("the admin API beside the app is no socket")
	}
	if slices.ContainsFunc(sidecar.VolumeMounts, func(m corev1.VolumeMount) bool { return strings.HasPrefix(admin[1]+"/", m.MountPath) }) {
		t.Errorf("the app has the folder %s", admin[1])
	}
}

// selects reports a selector that does not match these labels, or is empty and matches everything.
func selects(t *testing.T, what string, selector *metav1.LabelSelector, set map[string]string) {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil || s.Empty() || !s.Matches(labels.Set(set)) {
		t.Errorf("%s selects %v, %v; the pods have %v", what, s, err, set)
	}
}

func lookAtPod(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	s := pod.SecurityContext
	if !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("the pod may be root: %+v", s)
	}
	if *pod.AutomountServiceAccountToken {
		t.Error("the pod gets a token for the cluster's API")
	}
	if *pod.TerminationGracePeriodSeconds <= 20+5 {
		t.Errorf("the pod ends after %d seconds", *pod.TerminationGracePeriodSeconds)
	}
}

func lookAtContainer(t *testing.T, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s has too many rights: %+v", c.Name, s)
	}
	if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s has no limits: %+v", c.Name, c.Resources)
	}
	if _, tag, found := strings.Cut(c.Image, ":"); !found || tag == "latest" {
		t.Errorf("%s has the image %s", c.Name, c.Image)
	}
}

// lookAtGateway compares the probes and ports with the Caddyfile, which says where Caddy listens.
func lookAtGateway(t *testing.T, c corev1.Container) {
	t.Helper()
	ports := make(map[string]int32)
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
		if !strings.Contains(read(t, "kubernetes/gateway/Caddyfile"), fmt.Sprintf("http://:%d {", p.ContainerPort)) {
			t.Errorf("nothing listens on %d", p.ContainerPort)
		}
	}
	for name, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
		switch {
		case probe == nil:
			t.Errorf("there is no %s probe", name)
		case probe.TCPSocket != nil && ports[probe.TCPSocket.Port.StrVal] != 0:
		case probe.HTTPGet != nil && ports[probe.HTTPGet.Port.StrVal] != 0:
		default:
			t.Errorf("the %s probe asks no port of the container: %+v", name, probe)
		}
	}
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		t.Error("requests still arrive while it stops")
	}
}
