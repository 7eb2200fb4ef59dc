package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

func newImage(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "image",
		Short:   "Run a packaged image by itself",
		Example: "  towline image run train\n  towline image run serve",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImageRun(a))
	return cmd
}

type imageRunOptions struct {
	runtime  string
	optML    string
	modelDir string
	port     int
	dry      dryRun

	image string   // "" for what `towline package` made
	name  string   // train or serve; "" if args is a whole program
	args  []string // after --
}

func newImageRun(a *app) *cobra.Command {
	var o imageRunOptions
	cmd := &cobra.Command{
		Use:   "run [train|serve] [IMAGE] [-- ARGUMENT...]",
		Short: "Run the packaged image with SageMaker's container contract",
		Long: "Run the image that `towline package` made, or another one, in a container with\n" +
			"a fresh /opt/ml: the manifest's local channels and hyperparameters for train, a\n" +
			"model for serve. IMAGE is the folder of an OCI layout, or a reference in a\n" +
			"registry. What follows -- goes to the program, or is the program if neither\n" +
			"train nor serve is named. Nothing is recorded and no cloud is asked.",
		Example: "  towline image run train\n  towline image run serve\n" +
			"  towline image run train --runtime process --opt-ml ./ml\n" +
			"  towline image run serve registry.example.com/team/model:1.2.3 --model-dir ./model --port 8080\n" +
			"  towline image run -- python -c 'import sklearn; print(sklearn.__version__)'",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.parse(cmd.ArgsLenAtDash(), args); err != nil {
				return usageError(cmd, err)
			}
			return a.runImage(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.runtime, "runtime", "", "runc, podman, docker or process; the first container runtime that is there by default ("+localRuntime+")")
	flags.StringVar(&o.optML, "opt-ml", "", "folder that stands for /opt/ml; what is in it is kept")
	flags.StringVar(&o.modelDir, "model-dir", "", "folder with the model to serve; that of the last `image run train` by default")
	flags.IntVar(&o.port, "port", 0, "port on 127.0.0.1 to serve on; 0 takes a free one")
	o.dry.register(cmd)
	return cmd
}

// parse sorts the arguments; dash is how many stand before --, or -1.
func (o *imageRunOptions) parse(dash int, args []string) error {
	if dash >= 0 {
		args, o.args = args[:dash], args[dash:]
	}
	for _, arg := range args {
		switch {
		case (arg == "train" || arg == "serve") && o.name == "":
			o.name = arg
		case o.image == "" && strings.ContainsAny(arg, "/:."):
			o.image = arg
		default:
			return fault.Newf(fault.Usage, "found %q, wanted train or serve and an image", arg)
		}
	}
	if o.name == "" && len(o.args) == 0 {
		o.name = "train"
	}
	if o.port < 0 || o.port > 65535 {
		return fault.Newf(fault.Usage, "--port %s: wanted a number from 0 to 65535", strconv.Itoa(o.port))
	}
	if o.runtime != "" {
		return runtime.IsKind(o.runtime)
	}
	return nil
}

// program is what the container is told to run.
func (o *imageRunOptions) program() []string {
	if o.name == "" {
		return o.args
	}
	return append([]string{o.name}, o.args...)
}
