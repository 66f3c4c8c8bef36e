//! Notes about files that the real commands of translated `RUN` lines would leave in the image, and lbuild does not.

use lbuild::recipe::{Bytecode, Operation, PythonInstaller, Recipe, Run, Step};

/// The installs of the recipe compile modules, if the caller asks for it.
pub fn compile(recipe: &mut Recipe, bytecode: Option<Bytecode>) {
    let Some(bytecode) = bytecode else { return };
    for step in recipe.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        let Step::Run(Run { translation: Some(translation), .. }) = step else { continue };
        for command in translation.chains.iter_mut().flatten() {
            if let Operation::InstallPython(install) = &mut command.operation {
                install.bytecode = bytecode;
            }
        }
    }
}

/// Notes about what the real commands would leave in the image besides.
pub fn notes(recipe: &Recipe) -> Vec<String> {
    let (mut notes, mut is_told) = (Vec::new(), false);
    for step in recipe.stages.iter().flat_map(|stage| &stage.steps) {
        let Step::Run(Run { translation: Some(translation), origin, .. }) = step else { continue };
        let at = format!("{}:{}", origin.file, origin.line);
        for command in translation.chains.iter().flatten() {
            match &command.operation {
                Operation::OmitTools { packages } => {
                    let packages = packages.join(", ");
                    notes.push(format!(
                        "{at}: {packages}: left out, because no process of the build needs it"
                    ));
                }
                // uv compiles no modules either.
                Operation::InstallPython(install)
                    if install.installer == PythonInstaller::Pip
                        && install.bytecode == Bytecode::Never
                        && !command.text.contains(" --no-compile")
                        && !is_told =>
                {
                    is_told = true;
                    notes.push(format!(
                        "{at}: pip would compile modules; this image has none, so cold starts are slower: \
                         --compile-bytecode compiles them"
                    ));
                }
                _ => {}
            }
        }
    }
    notes
}
