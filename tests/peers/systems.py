"""PyTorch twins of whole training steps: writes goldens/systems.json. Everything is float64 on the CPU.

    LD_LIBRARY_PATH=/usr/local/cuda/lib64 python -B tests/peers/systems.py      (torch 2.11)

The file holds one object a system (gan, gan-ns, lsgan, wgan, wgan-gp, dcgan); every tensor is nested lists:
  options   the numbers below: batch, latent, hidden or width, repeat (D phases a step), optimizer, lr, and what the
            system has of betas, eps, alpha, clip, lambda; eps is PyTorch's default 1e-8
  init      {"G.0.weight": ..., "D.0.weight": ...}: parameters and buffers by their name in nn.Sequential
  steps     one list of phases a step, in the order they ran:
            {"phase": "D", "real": [B, ...], "latent": [B, z], "alpha": [B] (wgan-gp only), "loss": l}
            {"phase": "G", "latent": [B, z], "loss": l}
            `loss` is that of the phase before its update (wgan-gp: with lambda times the penalty).
  final     as init, after the last step

A step is `repeat` D phases, each on a fresh real batch, latents and alphas, then one G phase on fresh latents.
The D phase runs G without grad but in train mode, so DCGAN's batch norm moves its running statistics in both phases
(momentum 0.1, unbiased variance). Real and fake go through D apart. wgan clips all of D's parameters, biases too,
after each of its updates. To add a system, add a row to SYSTEMS; to change a net, change its builder.
"""

import torch
from torch import nn

from golden import generator, normal, rounded, uniform, write
from losses import LOSSES

STEPS = 2
torch.set_default_dtype(torch.float64)


def mlp(sizes, activation):
    layers = []
    for width, following in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(width, following), activation()]
    return nn.Sequential(*layers[:-1])


def leaky():
    return nn.LeakyReLU(0.2)


def mlp_nets(o):
    h = o["hidden"]
    return {"G": mlp([o["latent"], h, h, 2], nn.ReLU), "D": mlp([2, h, h, 1], leaky)}


def conv_nets(o):
    w = 2 * o["width"]
    g = nn.Sequential(
        nn.Unflatten(1, (o["latent"], 1, 1)),
        nn.ConvTranspose2d(o["latent"], w, 4, 1, 0, bias=False),  # 4x4
        nn.BatchNorm2d(w),
        nn.ReLU(),
        nn.ConvTranspose2d(w, 1, 4, 2, 1),  # 8x8
        nn.Tanh(),
    )
    d = nn.Sequential(nn.Conv2d(1, w, 4, 2, 1), leaky(), nn.Conv2d(w, 1, 4, 1, 0))
    return {"G": g, "D": d}


def vectors(rng, o):
    return normal(rng, o["batch"], 2)


def images(rng, o):
    return normal(rng, o["batch"], 1, 8, 8, scale=0.5).clamp(-1, 1)


MLP = {"batch": 8, "latent": 3, "hidden": 8, "repeat": 1, "optimizer": "adam", "lr": 1e-3, "betas": [0.5, 0.999]}
RMSPROP = {"optimizer": "rmsprop", "lr": 5e-5, "alpha": 0.99, "eps": 1e-8, "clip": 0.01, "repeat": 5}
DCGAN = {"batch": 8, "latent": 4, "width": 4, "repeat": 1, "optimizer": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}

# name: loss, nets, real data, options
SYSTEMS = {
    "gan": ("minimax", mlp_nets, vectors, MLP),
    "gan-ns": ("non-saturating", mlp_nets, vectors, MLP),
    "lsgan": ("lsgan", mlp_nets, vectors, MLP),
    "wgan": ("wasserstein", mlp_nets, vectors, {k: v for k, v in MLP.items() if k != "betas"} | RMSPROP),
    "wgan-gp": ("wasserstein", mlp_nets, vectors, MLP | {"lr": 1e-4, "betas": [0.0, 0.9], "lambda": 10.0, "repeat": 5}),
    "dcgan": ("non-saturating", conv_nets, images, DCGAN),
}


def optimizer(net, o):
    if o["optimizer"] == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), lr=o["lr"], alpha=o["alpha"], eps=o["eps"])
    return torch.optim.Adam(net.parameters(), lr=o["lr"], betas=tuple(o["betas"]))


def start(nets, rng):
    """Weights of few digits; batch norm gains near one."""
    gains = {id(m.weight) for net in nets.values() for m in net if isinstance(m, nn.BatchNorm2d)}
    for net in nets.values():
        for p in net.parameters():
            centre, scale = (1.0, 0.02) if id(p) in gains else (0.0, 0.3)
            p.data = rounded(centre + normal(rng, *p.shape, scale=scale))


def state(nets):
    def name(net, key):
        index, rest = key.split(".", 1)
        # Unflatten is the twin's own: layers count from the first convolution.
        return f"{int(index) - isinstance(net[0], nn.Unflatten)}.{rest}"

    return {f"{n}.{name(net, k)}": v.tolist() for n, net in nets.items() for k, v in net.state_dict().items()}


def penalty(d, real, fake, alpha):
    between = (alpha.view(-1, 1) * real + (1 - alpha.view(-1, 1)) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
    return ((gradient.flatten(1).pow(2).sum(1) + 1e-12).sqrt() - 1).pow(2).mean()


def train(loss_name, build, draw, o, rng):
    d_loss, g_loss = LOSSES[loss_name]
    nets = build(o)
    start(nets, rng)
    G, D = nets["G"], nets["D"]
    optimizers = {name: optimizer(net, o) for name, net in nets.items()}
    result = {"options": {"loss": loss_name} | o, "init": state(nets), "steps": []}

    def update(name, loss):
        optimizers[name].zero_grad()
        loss.backward()
        optimizers[name].step()
        return loss.item()

    def d_phase():
        phase = {"phase": "D", "real": draw(rng, o), "latent": normal(rng, o["batch"], o["latent"])}
        with torch.no_grad():
            fake = G(phase["latent"])
        loss = d_loss(D(phase["real"]), D(fake))
        if "lambda" in o:
            phase["alpha"] = uniform(rng, o["batch"])
            loss = loss + o["lambda"] * penalty(D, phase["real"], fake, phase["alpha"])
        phase["loss"] = update("D", loss)
        if "clip" in o:
            with torch.no_grad():
                for p in D.parameters():
                    p.clamp_(-o["clip"], o["clip"])
        return phase

    def g_phase():
        phase = {"phase": "G", "latent": normal(rng, o["batch"], o["latent"])}
        return phase | {"loss": update("G", g_loss(D(G(phase["latent"]))))}

    for _ in range(STEPS):
        phases = [d_phase() for _ in range(o["repeat"])] + [g_phase()]
        result["steps"].append([{k: v.tolist() if torch.is_tensor(v) else v for k, v in p.items()} for p in phases])
    return result | {"final": state(nets)}


if __name__ == "__main__":
    write("systems.json", {name: train(*row, generator(seed)) for seed, (name, row) in enumerate(SYSTEMS.items())})
