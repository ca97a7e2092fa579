package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func imagesCommand() *cobra.Command {
	var runs int
	cmd := &cobra.Command{
		Use:   "images",
		Short: "Time the making of all images, charts, their digests and verdicts, from programs that are there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := newBench(cmd.Context())
			if err != nil {
				return err
			}
			defer b.remove()
			return b.allImages(cmd.Context(), runs)
		},
	}
	cmd.Flags().IntVar(&runs, "runs", 3, "times that the figure is taken; the median is printed")
	return cmd
}

func (b *bench) allImages(ctx context.Context, runs int) error {
	if err := b.bazel(ctx, "build", bringAll, "//images/..."); err != nil {
		return err
	}
	var took []time.Duration
	for i := range runs {
		// These actions are others than before, so they run again; what they read is there. Their analysis is not timed.
		const made = "^(Image|OCI|Chart|FipsCheckImage|FipsReport).*"
		again := []string{fmt.Sprintf("--modify_execution_info=%s=+no-cache,%[1]s=+bench-%d", made, i), "//images/..."}
		if err := b.bazel(ctx, "build", append([]string{"--nobuild"}, again...)...); err != nil {
			return err
		}
		start := time.Now()
		log, err := b.run(ctx, "build", again...)
		if err != nil {
			return err
		}
		took = append(took, time.Since(start))
		fmt.Printf("%.1f s; %s\n", took[i].Seconds(), processes.FindString(log))
	}
	fmt.Printf("all images: median of %d: %.1f s\n", runs, median(took).Seconds())
	return nil
}
