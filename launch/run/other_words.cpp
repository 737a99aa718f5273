#include "launch/run/other_words.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "launch/run/train_options.h"

namespace saddle {
namespace {

using Words = std::vector<std::string>;

struct Other {
  Words words;  // in small letters, with _ for -
  Words keys;   // those of them that a system has
  const char* advice = "";
};

const std::vector<Other>& others() {
  static const std::vector<Other> all = {
      {{"lr", "learning_rate", "lrate"}, {"g.lr", "d.lr"}},
      {{"g_lr", "lr_g", "glr", "lrg", "generator_lr"}, {"g.lr"}},
      {{"d_lr", "lr_d", "dlr", "lrd", "discriminator_lr", "critic_lr"}, {"d.lr"}},
      {{"b1", "beta_1", "betas", "adam_beta1"}, {"g.beta1", "d.beta1"}},
      {{"b2", "beta_2", "adam_beta2"}, {"g.beta2", "d.beta2"}},
      {{"batch_size", "batchsize", "bs", "minibatch", "minibatch_size", "batch_gpu"},
       {"batch"},
       "over all ranks together"},
      {{"epoch", "epochs", "n_epochs", "num_epochs", "nepochs", "max_epochs"},
       {"steps"},
       "an epoch has as many steps as the data have batches"},
      {{"kimg", "total_kimg", "nimg"}, {"steps"}, "a thousand images are 1000 / batch steps"},
      {{"iter", "iters", "iterations", "n_iter", "niter", "num_iterations", "max_iter", "max_steps",
        "num_steps", "total_steps", "step"},
       {"steps"}},
      {{"workers", "num_workers", "n_workers", "n_cpu", "nthreads"}, {"loader.threads"}},
      {{"gpus", "num_gpus", "ngpu", "ngpus", "n_gpu", "world_size", "nproc", "nproc_per_node"},
       {},
       "ranks are started from outside, one a GPU: `saddle launch mpi -n 4 RECIPE ...`"},
      {{"gpu", "gpu_id", "gpu_ids", "cuda", "use_cuda", "no_cuda"}, {"device"}, "\"cuda\" or \"cpu\""},
      {{"fp16", "half", "use_fp16"}, {"precision"}, "\"float16\""},
      {{"bf16", "use_bf16"}, {"precision"}, "\"bfloat16\""},
      {{"amp", "mixed_precision", "use_amp", "dtype"}, {"precision"}, "\"bfloat16\" or \"float16\""},
      {{"allow_tf32"}, {"tf32"}},
      {{"ema_decay", "ema_beta", "ema_kimg", "moving_average", "use_ema"}, {"ema"}},
      {{"critic_iters", "ncritic", "d_steps", "n_dis", "num_d_steps", "d_iters", "critic_steps"},
       {"n_critic"}},
      {{"z", "nz", "z_dim", "zdim", "dim_z", "latent_dim", "latent_size", "z_size", "noise_dim"}, {"latent"}},
      {{"ngf", "gf_dim", "g_conv_dim", "g_ch", "g_channels"}, {"g.width"}},
      {{"ndf", "df_dim", "d_conv_dim", "d_ch", "d_channels"}, {"d.width"}},
      {{"lambda_gp", "gp_weight", "gp_lambda", "gradient_penalty", "lambda", "gamma", "r1_gamma", "gp"},
       {"penalty"}},
      {{"clip_value", "weight_clip", "weight_clipping", "clip_weights"}, {"d.clip"}},
      {{"grad_clip", "clip_grad", "max_grad_norm", "gradient_clip", "gradient_clip_val"}, {"clip"}},
      {{"augment", "aug", "augmentation", "ada", "augpipe", "diffaugment", "diff_augment"},
       {"data.mirror", "data.crop"},
       "all the augmentation that there is"},
      {{"flip", "xflip", "hflip", "random_flip", "horizontal_flip", "mirrors"}, {"data.mirror"}},
      {{"image_size", "img_size", "imsize", "imagesize", "resolution", "size", "img_dim"},
       {},
       "pictures have the size of the data: `saddle pack SOURCE --size 64 --out DIR`"},
      {{"subset", "max_images", "max_samples", "validation", "val_split"},
       {},
       "shares are taken when the data are made: `saddle pack SOURCE --subset 10% --validation 10% --out "
       "DIR`"},
      {{"dataset", "dataroot", "data_root", "data_dir", "data_path", "datadir", "train_dir", "train_data"},
       {},
       "the data set is a flag: --data DIR"},
      {{"outdir", "out_dir", "output", "output_dir", "logdir", "log_dir", "save_dir", "run_dir", "name"},
       {},
       "the run folder is a flag: --out RUN"},
      {{"resume_from", "continue", "continue_train", "ckpt", "load", "restore"},
       {},
       "to go on with a run: `saddle train --out RUN --resume`"},
      {{"pretrained", "finetune", "fine_tune", "init", "transfer"},
       {},
       "weights of another run are taken by --init-from RUN"},
      {{"snap", "snapshot", "save_every", "save_interval", "save_freq", "checkpoint_interval",
        "checkpoint_freq", "network_snapshot_ticks"},
       {"checkpoint.every"}},
      {{"sample_interval", "sample_freq", "image_snapshot_ticks", "vis_interval"}, {"sample.every"}},
      {{"log_interval", "log_every", "print_freq", "print_every", "tick"}, {"tick.every"}},
      {{"best"}, {"checkpoint.best"}},
      {{"fid", "metric", "metrics"},
       {"metrics.names"},
       "and `saddle evaluate RUN` measures a run afterwards"},
      {{"cond", "conditional", "class_cond"},
       {},
       "a system is conditional or not: recipe cgan is (`saddle list recipes`)"},
      {{"arch", "model", "network", "gan_type", "cfg", "config"},
       {},
       "the recipe decides: `saddle train RECIPE ...` (`saddle list recipes`)"},
      {{"random_seed", "manual_seed", "manualseed"}, {"seed"}},
      {{"grad_accum", "accum_iter", "gradient_accumulation_steps", "accumulate_grad_batches"},
       {"accumulate"}},
      {{"sync_bn", "syncbn", "sync_batchnorm"}, {}, "batch norm always spans the ranks"},
      {{"distributed", "ddp", "multi_gpu", "dist_backend"},
       {},
       "a training is distributed when mpirun or srun starts it: `saddle launch mpi -n 4 RECIPE ...`"},
      {{"freezed", "freeze_d", "freeze_layers"}, {"d.freeze"}},
      {{"mbstd", "mbstd_group_size", "minibatch_stddev"}, {"d.minibatch_std"}},
      {{"shuffle"}, {"data.order"}},
      {{"wandb", "tensorboard", "use_wandb"}, {}, "numbers of a run are lines of JSON in RUN/log.jsonl"}};
  return all;
}

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string plain(const std::string& word) {
  std::string made = word.substr(std::min(word.find_first_not_of('-'), word.size()));
  for (char& c : made) c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return made;
}

const Other* other(const std::string& word) {
  for (const Other& entry : others())
    if (has(entry.words, plain(word))) return &entry;
  return nullptr;
}

// Those keys that end in ".word": "freeze" -> "d.freeze".
Words ending_in(const std::string& word, const Words& keys) {
  Words found;
  for (const std::string& key : keys)
    if (key.ends_with("." + word)) found.push_back(key);
  return found;
}

// The keys that an unknown word stands for.
Words keys_meant(const std::string& word, const Words& keys) {
  if (has(keys, plain(word))) return {plain(word)};
  Words found;
  if (const Other* entry = other(word))
    for (const std::string& key : entry->keys)
      if (has(keys, key)) found.push_back(key);
  return found.empty() ? ending_in(plain(word), keys) : found;
}

// "wgan, wgan-gp": the systems that have this key of their own.
std::string systems_with(const std::string& key) {
  Words names;
  for (const SystemEntry& entry : systems()) {
    OptionTable table;
    const auto build = entry.open(table);
    if (table.has(key)) names.push_back(entry.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string meant_key(const std::string& key, const OptionTable& table) {
  Words keys;
  for (const auto& option : table.options()) keys.push_back(option.key);
  const Other* entry = other(key);
  const std::string advice = entry ? entry->advice : "";
  const Words meant = keys_meant(key, keys);
  if (!meant.empty())
    return fmt::format("; that is {} here{}", fmt::join(meant, ", "), advice.empty() ? "" : ": " + advice);
  const std::string own = entry && !entry->keys.empty() ? entry->keys.front() : key;
  if (const std::string elsewhere = systems_with(own); !elsewhere.empty())
    return fmt::format("; {} is a key of other systems: {}", own, elsewhere);
  return advice.empty() ? did_you_mean(key, keys) : "; " + advice;
}

std::string meant_flag(const std::string& flag, const std::string& value, const Words& flags) {
  const Words keys = all_keys();
  const auto set = [&](const Words& meant, const std::string& advice) {
    std::string text = "; that is a key:";
    for (const std::string& key : meant)
      text += fmt::format(" --set {}={}", key, value.empty() ? "VALUE" : value);
    return text + (advice.empty() ? "" : " (" + advice + ")");
  };
  if (has(keys, plain(flag))) return set({plain(flag)}, "");
  if (const Other* entry = other(flag)) {
    if (entry->keys.empty()) return fmt::format("; {}", entry->advice);
    if (const std::string same = "--" + entry->keys.front(); has(flags, same))
      return fmt::format("; that is {} here{}{}", same, *entry->advice ? ": " : "", entry->advice);
    if (const Words meant = keys_meant(flag, keys); !meant.empty()) return set(meant, entry->advice);
  }
  if (const std::string near = did_you_mean(flag, flags); !near.empty()) return near;
  if (const Words meant = ending_in(plain(flag), keys); !meant.empty()) return set(meant, "");
  const std::string near = nearest(plain(flag), keys);
  return near.empty() ? "" : set({near}, "");
}

std::string meant_command(const std::string& above, const std::string& word, const Words& commands) {
  static const std::map<std::string, std::string> meanings = {{"generate", "sample"},
                                                              {"gen", "sample"},
                                                              {"eval", "evaluate"},
                                                              {"test", "evaluate"},
                                                              {"fid", "evaluate"},
                                                              {"metrics", "evaluate"},
                                                              {"convert", "pack"},
                                                              {"prepare", "pack"},
                                                              {"dataset", "pack"},
                                                              {"info", "check"},
                                                              {"verify", "check"},
                                                              {"inspect", "check"},
                                                              {"ls", "list"},
                                                              {"recipes", "list recipes"},
                                                              {"systems", "list systems"},
                                                              {"resume", "train --out RUN --resume"},
                                                              {"continue", "train --out RUN --resume"},
                                                              {"run", "train"},
                                                              {"fit", "train"},
                                                              {"slurm", "launch slurm"},
                                                              {"mpi", "launch mpi"},
                                                              {"submit", "launch slurm"},
                                                              {"sbatch", "launch slurm"},
                                                              {"benchmark", "bench"},
                                                              {"help", "--help"},
                                                              {"version", "--version"}};
  if (const auto known = meanings.find(plain(word)); above == "saddle" && known != meanings.end())
    return fmt::format("; did you mean `saddle {}`?", known->second);
  const std::string near = nearest(plain(word), commands);
  return near.empty() ? "" : fmt::format("; did you mean `{} {}`?", above, near);
}

}  // namespace saddle
