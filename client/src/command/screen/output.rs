//! The answers of a screening: a file that can be taken up again.

use std::{
    fs::File,
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::Arc,
};

use accord_proto::signal::Signal;

use super::{
    super::exit::{Exit, Failure},
    input::{Input, InputLine},
    own::{self, Held, Problem, Signs},
    plan::Plan,
    progress::{Progress, Standing},
    record::{Record, heading},
};
use crate::Screened;

/// What can be done where a file is not ours.
const OTHER_OUTPUT: &str = "name another file with --output";

/// The form of the file, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

/// The file of answers.
#[derive(Debug)]
pub(super) struct Output {
    to: BufWriter<File>,
    form: Form,
    progress: Arc<Progress>,
    run: String,
    signals: Vec<Signal>,
}

impl Output {
    /// Opens the file and learns which lines of `input` it holds. A last line that was cut off is
    /// taken away; a file that is not this screening's own is left as it is.
    pub(super) fn open(path: &Path, input: &Input, plan: &Plan) -> Result<Self, Failure> {
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Form::Csv,
            Some("jsonl" | "ndjson" | "json") => Form::JsonLines,
            Some(_) | None => {
                let message = "the output's name ends with .jsonl or .csv";
                return Err(Failure::new(Exit::Usage, message));
            }
        };
        let failed = |error: io::Error| {
            let message = format!("can't write `{}`", path.display());
            Failure::new(Exit::Failure, message).because(&error)
        };
        let mut file = own::open_private(path).map_err(failed)?;
        refuse_the_input(&file, path, &input.path)?;
        let signals = plan.signals();
        let heading = match form {
            Form::Csv => Some(heading(&signals)?),
            Form::JsonLines => None,
        };
        let signs = Signs {
            heading: heading.as_deref(),
            run: &plan.run,
            line_max: input.line_max,
        };
        let held = own::read(&file, &signs).map_err(|problem| not_ours(problem, path))?;
        let Held { progress, whole } = held;
        file.set_len(whole).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut output = Self {
            to: BufWriter::new(file),
            form,
            progress: Arc::new(progress),
            run: plan.run.clone(),
            signals,
        };
        if let Some(heading) = heading.filter(|_| whole == 0) {
            output.to.write_all(&heading)?;
        }
        Ok(output)
    }

    /// What became of the lines in earlier runs.
    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Writes one result.
    pub(super) fn write(
        &mut self,
        screened: &Screened<InputLine>,
        standing: Standing,
    ) -> Result<(), Failure> {
        let record = Record {
            request_id: &screened.tag.request_id(&self.run),
            standing,
            screened,
        };
        let bytes = match self.form {
            Form::Csv => record.csv(&self.signals)?,
            Form::JsonLines => record.json(),
        };
        self.to.write_all(&bytes)?;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.to.flush()?)
    }
}

/// Whoever names the file of numbers as the output as well would lose it.
fn refuse_the_input(file: &File, path: &Path, input: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let message = format!("can't look at `{}`", path.display());
        Failure::new(Exit::Failure, message).because(&error)
    };
    let opened = file.metadata().map_err(failed)?;
    if !opened.is_file() {
        let message = format!("`{}` is no file that can be written to", path.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    if own::is_same_file(&opened, path, input).map_err(failed)? {
        let message = format!(
            "`{}` is the file of numbers itself; it was left as it is",
            path.display()
        );
        return Err(Failure::new(Exit::Usage, message).hint(OTHER_OUTPUT));
    }
    Ok(())
}

fn not_ours(problem: Problem, path: &Path) -> Failure {
    let path = path.display();
    let message = match problem {
        Problem::Io(error) => {
            return Failure::new(Exit::Failure, format!("can't read `{path}`")).because(&error);
        }
        Problem::Foreign => {
            format!("`{path}` holds what `accord screen` did not write; it was left as it is")
        }
        Problem::OtherRun => format!(
            "`{path}` holds the answers of another screening (another file, party or question); \
             it was left as it is"
        ),
    };
    Failure::new(Exit::Failure, message).hint(OTHER_OUTPUT)
}
