package wharfinger

// AttachmentID is CNI's key for one attachment: a container, on one network, by one interface.
type AttachmentID struct {
	Network   string
	Container string
	Ifname    string
}

// String is "NETWORK/CONTAINER/IFNAME": as text, the key of an attachment.
func (id AttachmentID) String() string {
	return id.Network + "/" + id.Container + "/" + id.Ifname
}

// Pod is the Kubernetes pod behind an attachment.
type Pod struct {
	Namespace string
	Name      string
	// UID is empty where the runtime does not say it.
	UID string
}

// Pair is a name and its value.
type Pair struct {
	Name  string
	Value string
}

// Attachment is one, as far as the runtime tells.
type Attachment struct {
	ID AttachmentID
	// Pod is nil where there is none.
	Pod *Pod
	// Args are CNI_ARGS, then the strings of args.cni, as given; a name may come twice.
	Args []Pair
}

// NewAttachment is one of no pod, with no arguments: for tests.
func NewAttachment(network, container, ifname string) Attachment {
	return Attachment{ID: AttachmentID{Network: network, Container: container, Ifname: ifname}}
}

// WithPod is the same for a pod.
func (a Attachment) WithPod(namespace, name string) Attachment {
	a.Pod = &Pod{Namespace: namespace, Name: name}
	return a
}

// WithArg is the same with one more argument.
func (a Attachment) WithArg(name, value string) Attachment {
	a.Args = append(a.Args[:len(a.Args):len(a.Args)], Pair{Name: name, Value: value})
	return a
}

// Arg is the last argument of this name.
func (a Attachment) Arg(name string) (value string, ok bool) {
	for i := len(a.Args) - 1; i >= 0; i-- {
		if a.Args[i].Name == name {
			return a.Args[i].Value, true
		}
	}
	return "", false
}
