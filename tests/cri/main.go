// A small client of the CRI socket, for tests: what crictl does with pods, and no more.
//
//	cri SOCKET run FILE      runs the pod sandbox that the JSON file describes; prints its id
//	cri SOCKET status ID     prints its state, namespace and addresses as JSON
//	cri SOCKET stop ID       stops it
//	cri SOCKET remove ID     removes it
//	cri SOCKET ready         waits until runtime and network are ready
//	cri SOCKET image NAME    waits until an image is known: one that was imported is told later
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("cri SOCKET run|status|stop|remove|ready|image [ARGUMENT]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err := grpc.NewClient("unix://"+args[0], plain)
	if err != nil {
		return err
	}
	defer connection.Close()
	client := cri.NewRuntimeServiceClient(connection)
	argument := ""
	if len(args) > 2 {
		argument = args[2]
	}
	switch args[1] {
	case "run":
		return runPod(ctx, client, argument)
	case "status":
		return status(ctx, client, argument)
	case "stop":
		_, err = client.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: argument})
	case "remove":
		_, err = client.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: argument})
	case "ready":
		return ready(ctx, client)
	case "image":
		return known(ctx, cri.NewImageServiceClient(connection), argument)
	default:
		return fmt.Errorf("no command %q", args[1])
	}
	return err
}

func runPod(ctx context.Context, client cri.RuntimeServiceClient, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	config := &cri.PodSandboxConfig{}
	if err := json.Unmarshal(text, config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	answer, err := client.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return err
	}
	fmt.Println(answer.PodSandboxId)
	return nil
}

func status(ctx context.Context, client cri.RuntimeServiceClient, id string) error {
	request := &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true}
	answer, err := client.PodSandboxStatus(ctx, request)
	if err != nil {
		return err
	}
	addresses := []string{}
	if network := answer.Status.Network; network != nil {
		addresses = append(addresses, network.Ip)
		for _, more := range network.AdditionalIps {
			addresses = append(addresses, more.Ip)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"state":     answer.Status.State.String(),
		"addresses": addresses,
		"info":      json.RawMessage(answer.Info["info"]),
	})
}

func ready(ctx context.Context, client cri.RuntimeServiceClient) error {
	for {
		answer, err := client.Status(ctx, &cri.StatusRequest{})
		if err == nil && allReady(answer.Status.Conditions) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %v, %v", answer, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func known(ctx context.Context, client cri.ImageServiceClient, name string) error {
	request := &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}}
	for {
		answer, err := client.ImageStatus(ctx, request)
		if err == nil && answer.Image != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no image %s: %v", name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func allReady(conditions []*cri.RuntimeCondition) bool {
	for _, condition := range conditions {
		if !condition.Status {
			return false
		}
	}
	return len(conditions) > 0
}
