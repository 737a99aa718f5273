"""PyTorch twin of losses/: writes goldens/losses.json, which tests/losses/peer_test.cpp reads.

    LD_LIBRARY_PATH=/usr/local/cuda/lib64 python -B tests/peers/losses.py      (torch 2.11, numpy; CPU, float64)

Losses are written from other formulas than the C++ ones (cross entropy, mse_loss, a nonsymmetric matrix root), so that
one mistake is not made twice. A tensor is {"shape", "data"}:
  adversarial  real, fake (logits), losses: {name: {d, g, d_real, d_fake, g_fake}}; d_real is the gradient of d in real
  relativistic the same of losses of differences of scores, as many real as fake
  penalty      real, fake, alpha, noise, std, and the critic's weights w0, w1: D(x) = w1 leaky_relu(w0 x, 0.2)^2;
               penalties: {name: {value, w0, w1}}, the last two being gradients; gradient_penalty_2 has target 2
  frechet      a, b: features; distance: a number
"""

import numpy
import torch
import torch.nn.functional as F

from golden import flat, generator, normal, uniform, write


def entropy(logits, label):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def least_squares(logits, label):
    return 0.5 * F.mse_loss(logits, torch.full_like(logits, label))


LOSSES = {
    "minimax": (lambda r, f: entropy(r, 1) + entropy(f, 0), lambda f: -entropy(f, 0)),
    "non-saturating": (lambda r, f: entropy(r, 1) + entropy(f, 0), lambda f: entropy(f, 1)),
    "lsgan": (lambda r, f: least_squares(r, 1) + least_squares(f, 0), lambda f: least_squares(f, 1)),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
    "hinge": (lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(), lambda f: -f.mean()),
}


def adversarial(rng):
    # Beside ordinary logits, some beyond softplus's linear threshold of 20.
    real = torch.cat([normal(rng, 5), torch.tensor([35.0, -35.0])]).view(-1, 1).requires_grad_()
    fake = torch.cat([normal(rng, 3), torch.tensor([-28.0, 28.0])]).view(-1, 1).requires_grad_()

    def row(d, g):
        d_real, d_fake = torch.autograd.grad(d(real, fake), [real, fake])
        (g_fake,) = torch.autograd.grad(g(fake), [fake])
        values = {"d": d(real, fake), "g": g(fake), "d_real": d_real, "d_fake": d_fake, "g_fake": g_fake}
        return {key: flat(value) for key, value in values.items()}

    return {"real": flat(real), "fake": flat(fake), "losses": {name: row(*pair) for name, pair in LOSSES.items()}}


def averages(value):
    """Jolicoeur-Martineau 2019, from scores written as differences of every pair's mean."""

    def side(sign):
        def loss(r, f):
            over = sign * (r.unsqueeze(0) - f.unsqueeze(1)).mean(0)
            under = sign * (r.unsqueeze(0) - f.unsqueeze(1)).mean(1)
            return 0.5 * (value(over).mean() + value(under).mean())

        return loss

    return side(1), side(-1)


RELATIVISTIC = {
    "rpgan": (lambda r, f: entropy(r - f, 1), lambda r, f: entropy(f - r, 1)),
    "ragan": averages(lambda t: F.binary_cross_entropy_with_logits(t, torch.ones_like(t), reduction="none")),
    "ralsgan": averages(lambda t: F.mse_loss(t, torch.ones_like(t), reduction="none")),
    "rahinge": averages(lambda t: (1 - t).clamp(min=0)),
}


def relativistic(rng):
    real, fake = (normal(rng, 7).requires_grad_() for _ in range(2))

    def row(d, g):
        d_real, d_fake = torch.autograd.grad(d(real, fake), [real, fake])
        (g_fake,) = torch.autograd.grad(g(real, fake), [fake])
        values = {"d": d(real, fake), "g": g(real, fake), "d_real": d_real, "d_fake": d_fake, "g_fake": g_fake}
        return {key: flat(value) for key, value in values.items()}

    return {"real": flat(real), "fake": flat(fake), "losses": {name: row(*p) for name, p in RELATIVISTIC.items()}}


def penalty(rng):
    x = {
        "real": normal(rng, 6, 1, 2, 2),
        "fake": normal(rng, 6, 1, 2, 2),
        "alpha": uniform(rng, 6),
        "noise": uniform(rng, 6, 1, 2, 2),
        "w0": normal(rng, 5, 4, scale=0.7).requires_grad_(),
        "w1": normal(rng, 1, 5, scale=0.7).requires_grad_(),
    }
    x["std"] = x["real"].std()

    def gradients(at):
        """One backward a sample, so that no sum over the batch is shared with the C++ formula."""
        rows = []
        for sample in at:
            sample = sample.clone().requires_grad_()
            value = x["w1"] @ F.leaky_relu(x["w0"] @ sample.flatten(), 0.2) ** 2
            rows.append(torch.autograd.grad(value, sample, create_graph=True)[0].flatten())
        return torch.stack(rows)

    def towards(target, at):
        return ((gradients(at).pow(2).sum(1) + 1e-12).sqrt() - target).pow(2).mean()

    alpha = x["alpha"].view(-1, 1, 1, 1)
    between = alpha * x["real"] + (1 - alpha) * x["fake"]
    penalties = {
        "gradient_penalty": towards(1, between),
        "gradient_penalty_2": towards(2, between),
        "r1": gradients(x["real"]).pow(2).sum(1).mean(),
        "r2": gradients(x["fake"]).pow(2).sum(1).mean(),
        "dragan": towards(1, x["real"] + 0.5 * x["std"] * x["noise"]),
    }

    def row(value):
        w0, w1 = torch.autograd.grad(value, [x["w0"], x["w1"]], retain_graph=True)
        return {"value": flat(value), "w0": flat(w0), "w1": flat(w1)}

    return {key: flat(value) for key, value in x.items()} | {"penalties": {k: row(v) for k, v in penalties.items()}}


def frechet(rng):
    mix = normal(rng, 4, 4)
    a, b = rounded_product(normal(rng, 30, 4), mix), normal(rng, 25, 4) + 0.5
    (m1, s1), (m2, s2) = ((x.numpy().mean(0), numpy.cov(x.numpy(), rowvar=False)) for x in (a, b))
    # The eigenvalues of S1 S2 are those of the symmetrised product.
    root = numpy.sqrt(numpy.linalg.eigvals(s1 @ s2).real).sum()
    distance = ((m1 - m2) ** 2).sum() + numpy.trace(s1) + numpy.trace(s2) - 2 * root
    return {"a": flat(a), "b": flat(b), "distance": float(distance)}


def rounded_product(x, mix):
    return (x @ mix).round(decimals=4)


if __name__ == "__main__":
    rng = generator(2026)
    tables = {"adversarial": adversarial(rng), "penalty": penalty(rng), "frechet": frechet(rng)}
    write("losses.json", tables | {"relativistic": relativistic(rng)})
