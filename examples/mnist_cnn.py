"""Train a small convolutional network on MNIST, as a step of a Pipeline.

The network: convolution, max-pooling and dropout, twice; flatten; a dense layer,
dropout; softmax. Run it with ``python examples/mnist_cnn.py``; where the images come
from is in ``mnist_data.py``.
"""

from mnist_data import load_mnist_or_digits
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skdeep import CNNClassifier


def make_model(image_shape, **parameters):
    """Return the pipeline for images as flat rows."""
    network = CNNClassifier(
        architecture="simple",
        filters=(32, 64),
        kernel_size=3,
        pool_size=2,
        hidden_layer_sizes=(128,),
        dropout=0.25,
        image_shape=image_shape,
        random_state=0,
    )
    network.set_params(**parameters)
    return Pipeline([("scale", MinMaxScaler()), ("network", network)])


def main(n_folds=3, n_rows=10_000, max_iter=5):
    X_train, X_test, y_train, y_test = load_mnist_or_digits()
    model = make_model(X_train.shape[1:], max_iter=max_iter)
    X_train, X_test = (X.reshape(len(X), -1) for X in (X_train, X_test))
    scores = cross_val_score(model, X_train[:n_rows], y_train[:n_rows], cv=n_folds)
    print(f"accuracy in {n_folds} folds of the first images: {scores.mean():.4f}")
    print("all training images ...")
    model.fit(X_train, y_train)
    print(f"accuracy on {len(X_test)} test images: {model.score(X_test, y_test):.4f}")


if __name__ == "__main__":
    main()
