package lint

import (
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/lint/python"
)

const serveLines = "    serve: {command: [python, serve.py]}\n"

func serving(server string) Example {
	return Example{Files: map[string]string{
		"towline.yaml": jobManifest("", serveLines),
		"train.py":     "import os\n\nprint(os.environ[\"SM_MODEL_DIR\"])\n",
		"serve.py":     server,
	}}
}

func (e Example) at(place string) Example {
	e.At = place
	return e
}

const flaskRoutes = "import os\nfrom flask import Flask\n\napp = Flask(__name__)\napp.add_url_rule(\"/ping\", view_func=lambda: \"\")\napp.add_url_rule(\"/invocations\", view_func=lambda: \"1\", methods=[\"POST\"])\n"

func loopbackBind() Rule {
	return Rule{
		ID: "TL410", Name: "loopback-bind", Severity: Critical, In: map[Profile]Severity{Prototype: Major},
		Looks:  "servers that listen on 127.0.0.1: by an address that is written out, or by the default of Flask, uvicorn and gunicorn",
		Why:    "an endpoint whose gunicorn said Listening at: http://127.0.0.1:8000 stopped passing the ping health check (aws/sagemaker-python-sdk#4115): SageMaker calls from outside of the container",
		Advice: "listen on 0.0.0.0 and the port of SAGEMAKER_BIND_TO_PORT",
		Bad:    serving(flaskRoutes + "app.run(port=int(os.environ[\"SAGEMAKER_BIND_TO_PORT\"]))\n").at("serve.py:7"),
		Good:   serving(flaskRoutes + "app.run(host=\"0.0.0.0\", port=int(os.environ[\"SAGEMAKER_BIND_TO_PORT\"]))\n"),
		Model: func(m *Model, r *Report) {
			if m.Serve == nil || m.behindProxy() {
				return
			}
			for _, b := range m.binds() {
				if loopback(b.host) {
					b.report(r, "SageMaker cannot reach a server on %s", b.host)
				}
			}
		},
	}
}

func loopback(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}

// behindProxy says whether something such as nginx stands before the server.
func (m *Model) behindProxy() bool { return m.says("nginx", "haproxy", "envoy") }

func wrongPort() Rule {
	return Rule{
		ID: "TL411", Name: "wrong-port", Severity: Critical, In: map[Profile]Severity{Prototype: Major},
		Looks:  "servers that listen on a port other than 8080 and never read SAGEMAKER_BIND_TO_PORT; on 8080 itself it is a minor finding",
		Why:    "SageMaker asks port 8080, or SAGEMAKER_BIND_TO_PORT in an inference pipeline (developer guide, Use Your Own Inference Code); on gunicorn's own port 8000 nobody asks (aws/sagemaker-python-sdk#4115)",
		Advice: "take the port from os.environ.get(\"SAGEMAKER_BIND_TO_PORT\", \"8080\")",
		Bad:    serving(flaskRoutes + "app.run(host=\"0.0.0.0\", port=5000)\n").at("serve.py:7"),
		Good:   serving(flaskRoutes + "app.run(host=\"0.0.0.0\", port=int(os.environ[\"SAGEMAKER_BIND_TO_PORT\"]))\n"),
		Model: func(m *Model, r *Report) {
			if m.Serve == nil || m.behindProxy() || m.says("SAGEMAKER_BIND_TO_PORT") {
				return
			}
			for _, b := range m.binds() {
				switch b.port {
				case "":
				case "8080":
					b.report(r, "the port is always 8080, also where SAGEMAKER_BIND_TO_PORT asks for another").Severity = Minor
				default:
					b.report(r, "the server listens on port %s, where SageMaker does not ask", b.port)
				}
			}
		},
	}
}

// bind is where a server listens; "" where that is not known.
type bind struct {
	host, port string
	report     func(r *Report, format string, args ...any) *Finding
}

// binds are the places where the model's server listens: in its entry, or in
// its command.
func (m *Model) binds() []bind {
	if found := m.commandBinds(); found != nil {
		return found
	}
	f, ok := m.Entry(m.Serve.Command)
	if !ok {
		return nil
	}
	c := code{f.Python(), f}
	var list []bind
	apps := c.made("flask.Flask")
	for _, call := range c.Calls {
		b := bind{report: func(r *Report, format string, args ...any) *Finding { return c.found(r, call.Start, format, args...) }}
		if c.listens(call, apps, &b) && !c.under(call.Stmt, python.StmtExcept) {
			list = append(list, b)
		}
	}
	return list
}

// listens says whether a call starts a server, and where it listens.
func (c code) listens(call python.Call, apps map[string]bool, b *bind) bool {
	address := func(hostAt, portAt int, host, port string) {
		b.host, b.port = host, port
		if e := call.Either(hostAt, "host"); e != 0 {
			b.host, _ = c.literal(e)
		}
		if e := call.Either(portAt, "port"); e != 0 {
			b.port = c.number(e)
		}
	}
	if call.Unpacks() {
		return false
	}
	switch name := call.Name; {
	case last(name) == "run" && apps[c.caller(call)]:
		address(0, 1, "127.0.0.1", "5000")
	case name == "uvicorn.run":
		address(-1, -1, "127.0.0.1", "8000")
	case name == "waitress.serve":
		address(-1, -1, "0.0.0.0", "8080")
	case strings.HasSuffix(name, "HTTPServer") && len(call.Args) >= 1:
		parts := c.Elements(call.Pos(0))
		if c.Kind(call.Pos(0)) != python.ExprTuple || len(parts) != 2 {
			return false
		}
		b.host, _ = c.literal(parts[0])
		b.port = c.number(parts[1])
	default:
		return false
	}
	return true
}

// number is a number that is written out, or "".
func (c code) number(e python.Expr) string {
	if c.Kind(e) == python.ExprNumber {
		return c.Source(e)
	}
	return ""
}

// made are the names that are bound to a new object of a class.
func (c code) made(class string) map[string]bool {
	names := map[string]bool{}
	for _, a := range c.Assigns {
		if call, ok := c.CallOf(a.Value); ok && call.Name == class {
			names[a.Name] = true
		}
	}
	return names
}

// caller is the name of the object whose method is called, or "".
func (c code) caller(call python.Call) string {
	name, _ := c.Dotted(c.Left(call.Func))
	return name
}

// commandBinds is where gunicorn and uvicorn listen by the command.
func (m *Model) commandBinds() []bind {
	command := m.Serve.Command
	at := slices.IndexFunc(command, func(word string) bool { return word == "gunicorn" || word == "uvicorn" })
	if at < 0 || slices.ContainsFunc(command, func(word string) bool {
		return strings.HasPrefix(word, "-c") || strings.HasPrefix(word, "--config") || word == "--uds"
	}) {
		return nil
	}
	b := bind{host: "127.0.0.1", port: "8000", report: func(r *Report, format string, args ...any) *Finding {
		return r.Manifest(m.Position("serve.command"), format, args...)
	}}
	for i, word := range command {
		name, value, inline := strings.Cut(word, "=")
		if !inline && i+1 < len(command) {
			value = command[i+1]
		}
		switch name {
		case "-b", "--bind":
			host, port, _ := strings.Cut(strings.TrimPrefix(value, "unix:"), ":")
			b.host, b.port = host, port
		case "--host":
			b.host = value
		case "--port":
			b.port = value
		}
	}
	if strings.Contains(b.port, "$") || m.Serve.Environment["GUNICORN_CMD_ARGS"] != "" {
		b.port = ""
	}
	return []bind{b}
}
