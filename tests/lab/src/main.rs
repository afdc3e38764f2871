//! `lab`: the command line of the laboratory.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lab::classification::{classify_recipes, table};
use lab::demo::Hold;
use lab::error::{LabError, Trying};
use lab::output::{complain, say};
use lab::scenario::Context;
use lab::{demo, distribution, preflight, recipe, runner, sandbox, scenario};

/// Real Warren programs in network namespaces behind real NATs.
#[derive(Debug, Parser)]
#[command(name = "lab")]
struct Cli {
    /// The folder with `warren` and `warren-coordinator` [default: the folder of this program].
    #[arg(long, env = "WARREN_BIN_DIR", global = true)]
    bin_dir: Option<PathBuf>,
    /// Keep logs and state of the run in this folder [default: a new one below the system's temporary folder].
    #[arg(long, env = "WARREN_LAB_RUN_DIR", global = true)]
    run_dir: Option<PathBuf>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List scenarios and recipes.
    List,
    /// Check that NAT recipes are what they claim (all of them by default).
    Classify {
        /// Recipes to check.
        recipes: Vec<String>,
    },
    /// Run scenarios by name; a prefix such as `matrix` runs a family, `all` runs everything.
    Run {
        /// Scenarios to run.
        #[arg(required = true)]
        names: Vec<String>,
        /// Also write the results to this file.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Run scenarios many times and show how their figures spread.
    Bench {
        /// Scenarios to run, as for `run` [default: a pair of each kind].
        names: Vec<String>,
        /// How many times.
        #[arg(long, default_value_t = 40)]
        runs: usize,
        /// Also write the distributions to this file.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Connect five nodes behind different NATs and show how each pair met.
    Demo {
        /// Keep everything up until Ctrl-C and show how to open the dashboard.
        #[arg(long)]
        hold: bool,
        /// For a program: print the dashboard's address and a sign-in link as one line of JSON, and end when standard
        /// input ends.
        #[arg(long, requires = "hold")]
        json: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match &cli.task {
        Task::List => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        _ if sandbox::is_inside() => sandbox::settle_in().and_then(|()| perform(&cli)),
        Task::Classify { .. } | Task::Run { .. } | Task::Bench { .. } | Task::Demo { .. } => {
            before_entering(&cli)
                .and_then(|()| sandbox::run_inside(matches!(cli.task, Task::Demo { hold: true, .. })))
        }
    };
    ended.unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
    })
}

/// Refuses wrong names and missing programs before anything is started.
fn before_entering(cli: &Cli) -> Result<(), LabError> {
    match &cli.task {
        Task::List | Task::Demo { .. } => {}
        Task::Classify { recipes } => recipes.iter().try_for_each(|name| recipe::recipe(name).map(|_| ()))?,
        Task::Run { names, .. } => runner::choose(&runner::groups(), names).map(|_| ())?,
        Task::Bench { names, .. } => runner::choose(&runner::groups(), &or_usual(names)).map(|_| ())?,
    }
    let needs_programs = match &cli.task {
        Task::List | Task::Classify { .. } => false,
        Task::Run { names, .. } => runner::needs_programs(names),
        Task::Bench { .. } | Task::Demo { .. } => true,
    };
    if needs_programs {
        let bin_dir = bin_dir(cli)?;
        ["warren", "warren-coordinator"]
            .iter()
            .try_for_each(|name| scenario::program(&bin_dir, name).map(|_| ()))?;
    }
    preflight::check()
}

/// The scenarios named, or the usual ones.
fn or_usual(names: &[String]) -> Vec<String> {
    if names.is_empty() { distribution::USUAL.map(str::to_owned).to_vec() } else { names.to_vec() }
}

fn list() {
    for (name, about) in runner::groups().iter().flat_map(|group| &group.members) {
        say(format!("{name:<44} {about}"));
    }
    for recipe in recipe::recipe_names().filter_map(|name| recipe::recipe(name).ok()) {
        say(format!("recipe {:<37} {}", recipe.name, recipe.about));
    }
}

fn perform(cli: &Cli) -> Result<ExitCode, LabError> {
    let passed = match &cli.task {
        Task::List => true,
        Task::Classify { recipes } => classify(recipes)?,
        Task::Demo { hold: false, .. } => demo::run(&context(cli)?, None)?,
        Task::Demo { json: false, .. } => demo::run(&context(cli)?, Some(Hold::UntilInterrupted))?,
        Task::Demo { json: true, .. } => demo::run(&context(cli)?, Some(Hold::UntilInputEnds))?,
        Task::Run { names, json } => runner::run(&context(cli)?, names, json.as_deref())?,
        Task::Bench { names, runs, json } => {
            runner::bench(&context(cli)?, &or_usual(names), *runs, json.as_deref()).map(|()| true)?
        }
    };
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn classify(names: &[String]) -> Result<bool, LabError> {
    let names: Vec<&str> = if names.is_empty() {
        recipe::recipe_names().collect()
    } else {
        names.iter().map(String::as_str).collect()
    };
    let results = classify_recipes(&names)?;
    say(table(&results));
    let wrong = results.iter().filter(|result| !result.holds()).count();
    say(format!("{} as claimed, {wrong} not", results.len() - wrong));
    Ok(wrong == 0)
}

fn context(cli: &Cli) -> Result<Context, LabError> {
    let run_dir = cli.run_dir.clone().unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        std::env::temp_dir().join(format!("warren-lab-{}", now.as_millis()))
    });
    std::fs::create_dir_all(&run_dir).map_err(|error| LabError::at_path("create", &run_dir, error))?;
    Ok(Context { bin_dir: bin_dir(cli)?, run_dir: absolute(run_dir)? })
}

fn bin_dir(cli: &Cli) -> Result<PathBuf, LabError> {
    let program = std::env::current_exe().trying("find the lab's own program file")?;
    let beside = program.parent().map(PathBuf::from).unwrap_or_default();
    absolute(cli.bin_dir.clone().unwrap_or(beside))
}

fn absolute(path: PathBuf) -> Result<PathBuf, LabError> {
    std::fs::canonicalize(&path).map_err(|error| LabError::at_path("find", &path, error))
}
