//! A template. Without images it stays as it is; with images, nothing is left to be built.

#![no_main]

use lbuild::frontend::sam::{BuildKeys, Template, Values};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(template) = Template::parse("template", text) else { return };
    assert_eq!(template.with_images(&[], BuildKeys::Remove).ok().as_deref(), Some(text));
    let parameters = [("A".to_owned(), "a".to_owned()), ("B".to_owned(), "b,c".to_owned())].into();
    let values = Values { parameters, region: Some("eu-west-1".to_owned()), ..Values::default() };
    if let Ok(moved) = template.moved("../..") {
        assert!(Template::parse("moved", &moved).is_ok(), "{moved}");
    }
    let Ok(functions) = template.image_functions(&values) else { return };
    for keys in [BuildKeys::Remove, BuildKeys::Keep] {
        let images: Vec<_> = functions.iter().map(|function| (function, "localhost:5000/a:b-0-c")).collect();
        let Ok(packaged) = template.with_images(&images, keys) else { continue };
        let again = Template::parse("packaged", &packaged).expect("a template");
        let left = again.image_functions(&values).expect("the values are known");
        assert!(left.is_empty(), "{packaged}");
    }
});
